"""The training corpus: plain Python from a pinned list of wheels, and real edits.

`build_corpus` fetches, filters, tokenises and packs; everything it writes can be rebuilt from
`packages.tsv` and is never committed. Layout of a corpus folder:

    wheels/                       as fetched by pip
    tokenizer.json
    train.tokens.npy  dev.tokens.npy    uint16, documents back to back, each closed by <end>
    edits.tokens.npy edits.offsets.npy  uint16, and int64 [n, 6]: bounds of the five fields
    manifest.json                 package, version, licence, files, tokens; what was dropped and why
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import random
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.models.vocabulary import END, Vocabulary, train_tokenizer

PACKAGES = Path(__file__).with_name("packages.tsv")
PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|0BSD|HPND|Zlib|CC0)\b", re.I)
COPYLEFT = re.compile(r"\b(A?L?GPL|MPL|Mozilla|EPL|EUPL|CDDL|GNU)", re.I)
SKIPPED_PATHS = re.compile(r"(^|/)(_?vendor(ed)?|extern(al)?|third_party|site-packages)/|_pb2(_grpc)?\.py$")
WHEELS_OF = "3.12"  # the Python whose wheels are fetched
MAX_FILE_BYTES = 100_000
LEAK_RUN = 30  # tokens: a file that shares such a run with a benchmark is dropped
EDIT_FIELDS = ("subject", "prefix", "before", "after", "suffix")

Tokens = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class CorpusConfig:
    folder: Path
    edits: Path | None = None  # folder of edits-*.jsonl.xz
    benchmarks: Path | None = None  # folder whose code must not be trained on
    vocab_size: int = 4096
    max_bytes_per_package: int = 8_000_000
    dev_packages: tuple[str, ...] = ("jinja2", "attrs", "werkzeug")  # split off whole
    seed: int = 0


@dataclass(slots=True)
class Package:
    name: str
    version: str
    licence: str = ""
    files: int = 0
    tokens: int = 0
    dropped: dict[str, int] = field(default_factory=dict[str, int])

    def drop(self, why: str) -> None:
        self.dropped[why] = self.dropped.get(why, 0) + 1


def build_corpus(config: CorpusConfig) -> None:
    """Fetch, filter, tokenise, pack. Steps whose output exists are not repeated, but for packing."""
    wheels = config.folder / "wheels"
    fetch_wheels(PACKAGES, wheels)
    packages, documents = read_documents(wheels, config)
    tokenizer_path = config.folder / "tokenizer.json"
    if not tokenizer_path.exists():
        sample = random.Random(config.seed).sample(documents, min(len(documents), 4000))
        Vocabulary(train_tokenizer((text for _, text in sample), config.vocab_size)).save(tokenizer_path)
    vocabulary = Vocabulary.load(tokenizer_path)
    leaks = benchmark_runs(config.benchmarks, vocabulary)
    split: dict[str, list[Tokens]] = {"train": [], "dev": []}
    for package, tokens in encode_documents(documents, vocabulary):
        if shares_run(tokens, leaks):
            package.drop("shares code with a benchmark")
            continue
        package.files += 1
        package.tokens += len(tokens)
        split["dev" if package.name in config.dev_packages else "train"].append(tokens)
    for name, parts in split.items():
        np.save(config.folder / f"{name}.tokens.npy", np.concatenate(parts))
    edits = pack_edits(config, vocabulary, leaks) if config.edits else {}
    manifest = {"packages": [asdict(p) for p in packages], "edits": edits, "vocab_size": vocabulary.size}
    (config.folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def fetch_wheels(packages: Path, folder: Path) -> None:
    """Downloads the pinned wheels that are not there yet. Raises CalledProcessError when pip fails."""
    folder.mkdir(parents=True, exist_ok=True)
    have = {wheel_key(path) for path in folder.glob("*.whl")}
    rows = [line.split("\t") for line in packages.read_text().splitlines()[1:]]
    missing = [f"{name}=={version}" for name, version in rows if (canonical(name), version) not in have]
    # Wheels are read, not installed: the newest Python's, whatever this one is.
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", WHEELS_OF, "-d", str(folder)]

    def fetch(requirement: str) -> None:
        subprocess.run([*command, requirement], check=True)  # noqa: S603  # from our own list

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(fetch, missing))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel_key(path: Path) -> tuple[str, str]:
    name, version, *_ = path.name.split("-")
    return canonical(name), version


def read_documents(wheels: Path, config: CorpusConfig) -> tuple[list[Package], list[tuple[Package, str]]]:
    """Files of all permissively licensed wheels, filtered, in a reproducible shuffled order."""
    rng = random.Random(config.seed)
    packages: list[Package] = []
    documents: list[tuple[Package, str]] = []
    seen_files: set[bytes] = set()
    seen_lines: set[int] = set()
    for path in sorted(wheels.glob("*.whl")):
        package = Package(*wheel_key(path))
        packages.append(package)
        with zipfile.ZipFile(path) as wheel:
            package.licence = licence_of(wheel)
            if not package.licence:
                package.drop("licence")
                continue
            budget = config.max_bytes_per_package
            for text in wheel_files(wheel, package, rng):
                digest = hashlib.sha256(text.encode()).digest()
                if digest in seen_files or is_near_duplicate(text, seen_lines):
                    package.drop("duplicate")
                    continue
                seen_files.add(digest)
                budget -= len(text)
                if budget < 0:
                    package.drop("over the package's share")
                    break
                documents.append((package, text))
    rng.shuffle(documents)
    return packages, documents


def licence_of(wheel: zipfile.ZipFile) -> str:
    """The permissive licence a wheel's METADATA names, else the empty string."""
    name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    head = wheel.read(name).decode("utf-8", "replace").split("\n\n", 1)[0]
    said = re.findall(r"^(?:License-Expression|License|Classifier: License)[^:\n]*:+ *(.{1,200})", head, re.M)
    if not said or COPYLEFT.search(" ".join(said)):
        return ""
    match = next((m for s in said if (m := PERMISSIVE.search(s))), None)
    return match.group(0) if match else ""


def wheel_files(wheel: zipfile.ZipFile, package: Package, rng: random.Random) -> Iterator[str]:
    names = [n for n in wheel.namelist() if n.endswith(".py")]
    rng.shuffle(names)
    for name in names:
        if SKIPPED_PATHS.search(name):
            package.drop("vendored or generated")
            continue
        if wheel.getinfo(name).file_size > MAX_FILE_BYTES:
            package.drop("too large")
            continue
        try:
            text = wheel.read(name).decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            package.drop("not UTF-8")
            continue
        if len(text) < 200 or "generated by" in text[:400].lower():
            package.drop("tiny or generated")
            continue
        yield text


def is_near_duplicate(text: str, seen: set[int]) -> bool:
    """True when over half of the file's telling lines stood in earlier files; remembers its lines."""
    lines = {zlib.crc32(s.encode()) for line in text.splitlines() if len(s := line.strip()) >= 25}
    repeated = len(lines & seen)
    seen |= lines
    return len(lines) >= 8 and repeated > 0.5 * len(lines)


def encode_documents(documents: list[tuple[Package, str]], vocabulary: Vocabulary) -> Iterator[tuple[Package, Tokens]]:
    for start in range(0, len(documents), 256):
        chunk = documents[start : start + 256]
        for (package, _), ids in zip(chunk, vocabulary.encode_batch([t for _, t in chunk]), strict=True):
            yield package, np.array([*ids, END], dtype=np.uint16)


def run_hashes(tokens: Tokens, run: int = LEAK_RUN) -> npt.NDArray[np.uint64]:
    """One hash for each `run` of tokens, shape [max(0, n - run + 1)]."""
    n = len(tokens) - run + 1
    if n <= 0:
        return np.zeros(0, dtype=np.uint64)
    total = np.zeros(n, dtype=np.uint64)
    for i in range(run):
        total = total * np.uint64(0x100000001B3) + tokens[i : i + n].astype(np.uint64) + np.uint64(1)
    return total


def shares_run(tokens: Tokens, leaks: npt.NDArray[np.uint64]) -> bool:
    """Whether any run of LEAK_RUN tokens hashes to one of `leaks` (sorted)."""
    if not leaks.size:
        return False
    hashes = run_hashes(tokens)
    found = leaks[np.minimum(np.searchsorted(leaks, hashes), leaks.size - 1)]
    return bool((found == hashes).any())


def benchmark_runs(folder: Path | None, vocabulary: Vocabulary) -> npt.NDArray[np.uint64]:
    """Hashes of every run of LEAK_RUN tokens in the benchmark records of `folder`."""
    if folder is None:
        return np.zeros(0, dtype=np.uint64)
    hashes = [
        run_hashes(np.array(ids, dtype=np.uint16))
        for text in benchmark_texts(folder)
        for ids in [vocabulary.encode(text)]
    ]
    return np.unique(np.concatenate(hashes))


def benchmark_texts(folder: Path) -> Iterator[str]:
    for path in benchmark_files(folder):
        for texts in record_texts(path):
            yield from texts


def benchmark_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl*"))


def record_texts(path: Path) -> Iterator[tuple[str, ...]]:
    """The code of each record of a benchmark."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if "after" in record:
                yield record["before"], record["after"]
            else:
                yield (record["prompt"] + record["canonical_solution"] + record["suffix"],)


def pack_edits(config: CorpusConfig, vocabulary: Vocabulary, leaks: npt.NDArray[np.uint64]) -> dict[str, int]:
    """Tokenises the five fields of every real edit of the training split."""
    assert config.edits is not None
    tokens: list[Tokens] = []
    offsets: list[list[int]] = []
    end = dropped = 0
    for batch in batched_records(edit_files(config.edits), 512):
        fields = [line_canvas(record) for record in batch]
        encoded = vocabulary.encode_batch([text for row in fields for text in row])
        for i in range(0, len(encoded), 5):
            row = [np.array(ids, dtype=np.uint16) for ids in encoded[i : i + 5]]
            row = [row[0][:48], row[1][-400:], row[2], row[3], row[4][:200]]
            joined = np.concatenate(row)
            if shares_run(joined, leaks):
                dropped += 1
                continue
            bounds = [end, *(end + np.cumsum([len(f) for f in row])).tolist()]
            end = bounds[-1]
            tokens.append(joined)
            offsets.append(bounds)
    np.save(config.folder / "edits.tokens.npy", np.concatenate(tokens))
    np.save(config.folder / "edits.offsets.npy", np.array(offsets, dtype=np.int64))
    return {"edits": len(offsets), "tokens": end, "dropped as leaks": dropped}


def line_canvas(record: dict[str, str]) -> tuple[str, str, str, str, str]:
    """The record's fields with the newline before the hunk moved into it and the one at its end moved
    out, so that indentation is always the tail of a newline token (see `engine.regions`)."""
    return (
        record["subject"][:200],
        record["prefix"].removesuffix("\n"),
        ("\n" + record["before"]).removesuffix("\n"),
        ("\n" + record["after"]).removesuffix("\n"),
        "\n" + record["suffix"],
    )


def edit_files(folder: Path) -> list[Path]:
    """The real edits of `folder` that are for training."""
    return sorted(folder.glob("edits-[0-9]*.jsonl.xz"))


def batched_records(paths: Iterable[Path], size: int) -> Iterator[list[dict[str, str]]]:
    batch: list[dict[str, str]] = []
    for path in paths:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                batch.append(json.loads(line))
                if len(batch) == size:
                    yield batch
                    batch = []
    if batch:
        yield batch
