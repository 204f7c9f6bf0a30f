"""Everything that places Taximeter somewhere: on AWS, or on the local cloud."""

from infra.node import put_on_path

# The CDK library starts Node when it is first imported, and all of this package may import it.
put_on_path()
