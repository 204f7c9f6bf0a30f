"""What the account can hold: one file per resource, each with its rules and its routes."""
