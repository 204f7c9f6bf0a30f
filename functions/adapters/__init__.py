"""Who remembers and whom we talk to: the only place with boto3 or sockets."""
