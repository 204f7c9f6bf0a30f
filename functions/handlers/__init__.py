"""Who knocks: one file is one Lambda function. Unwrap, call, answer."""
