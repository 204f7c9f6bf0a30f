"""The local cloud: the synthesised template on an emulator, with a Stripe stand-in beside it."""
