"""A benchmark whose code was packed is found out; one of other code is not."""

from __future__ import annotations

import json
from pathlib import Path

from engine.training.leakage import overlaps

LEAKED = Path(__file__).resolve().parents[2] / "engine" / "diffusion" / "sampler.py"
OTHER = "\n".join(f"zebra_{i} = quagga_{i * 7} ^ {i * 13}" for i in range(60))


def test_leaked_code_is_counted(corpus: Path, tmp_path: Path) -> None:
    text = LEAKED.read_text()
    for name, after in (("leaked", text[1000:3000]), ("clean", OTHER)):
        record = {"before": OTHER, "after": after}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record) + "\n")
    found = {(o.benchmark, o.run): o for o in overlaps(corpus, tmp_path)}
    for run in (15, 30):
        leaked, clean = found["leaked.jsonl", run], found["clean.jsonl", run]
        assert (clean.records, clean.touched, clean.shared) == (1, 0, 0)
        assert leaked.touched == 1
        assert leaked.shared > 100
        assert leaked.shared < leaked.runs
