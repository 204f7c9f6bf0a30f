"""The API, written down: an OpenAPI 3.1 document and a page that shows it, made when the functions are built.

What is said comes from where it holds: paths, sentences and scopes from the router of the `api` function, bodies from
the models that read them, answers from `answers` here. Tests hold the answers against what the handlers give.
"""
