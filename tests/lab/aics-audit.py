"""Verifies a whole log with aics-tlog; run it by aics-python.

    aics-audit.py PREFIX VKEY [OLDER-CHECKPOINT]

Its command `verify-checkpoint` reads the tiles at the right edge only. This reads every tile and
every entry, and proves growth. One line of JSON and exit code 0 if the log is good; the reason
and 3 if it is not.
"""

import json
import sys

from aics_tlog import (
    HttpTileReader,
    TileMissingError,
    TileUnavailableError,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
)


def opened(data, vkey):
    result = verify_checkpoint(parse_note(data), vkey, expected_origin=vkey.name)
    if not result.ok:
        raise ValueError(f"checkpoint: {result.error}")
    return result


def audit(prefix, vkey, older=None):
    vkey = parse_vkey(vkey)
    reader = HttpTileReader([prefix])
    [fetched] = reader.fetch_checkpoints()
    if fetched.data is None:
        raise ValueError(f"checkpoint: {fetched.error}")
    head = opened(fetched.data, vkey)
    report = audit_tiles(reader, head.size, head.root)
    if older:
        with open(older, "rb") as file:
            past = opened(file.read(), vkey)
        tiles = VerifiedTileReader(reader, head.size, head.root)
        proof = []
        if 0 < past.size < head.size:
            proof = consistency_proof_from_tiles(tiles, past.size, head.size)
        if not verify_consistency(past.size, head.size, past.root, head.root, proof):
            raise ValueError(f"it does not go on from {older}")
    return {"size": report.size, "tiles": report.tiles, "bundles": report.bundles}


try:
    print(json.dumps(audit(*sys.argv[1:])))
except (ValueError, TileMissingError, TileUnavailableError) as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(3)
