"""`python -m infra.openapi [FOLDER]` writes openapi.json and docs.html; without a folder, the document to stdout."""

import sys
from pathlib import Path

from infra.openapi.build import as_json, write

if len(sys.argv) > 1:
    write(Path(sys.argv[1]))
else:
    sys.stdout.write(as_json())
