"""Builds the generator's compiled loops with AddressSanitizer and UndefinedBehaviorSanitizer, to fuzz them.

A read beyond a buffer, or a number that overflows, then ends the process with a report.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.fuzz.side_by_side import ROOT, Fuzzed, fuzz_one

_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "CHANGELOG.md", "runner", "app_server")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "*.c")
_FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1 -O0"
_LIBRARIES = ("libasan.so", "libubsan.so")


def compiler() -> str | None:
    """Return the C compiler, None if there is none with both sanitizers."""
    gcc = shutil.which("gcc")
    return gcc if gcc and all(path.is_absolute() for path in _libraries(gcc)) else None


def fuzz_sanitized(folder: Path, *, seconds: float = 0, runs: int = 0) -> Fuzzed:
    """Fuzz the compiled exchange as `fuzz_one` does; the folder receives the build and the findings."""
    gcc = compiler()
    assert gcc is not None
    built = _compiled(gcc, folder) if _translated() else _build(folder)
    environment = {
        "PYTHONPATH": f"{built}:{ROOT}",
        "LD_PRELOAD": " ".join(map(str, _libraries(gcc))),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until it exits
        "PYTHONMALLOC": "malloc",  # Python's own allocator would hide the ends of objects
        "FUZZ_COMPILED_ONLY": "1",
    }
    # by chance: atheris has a sanitizer runtime of its own
    limits = {"seconds": seconds, "runs": runs}
    return fuzz_one("exchange", **limits, folder=folder, options=["--by-chance"], env=environment)


def _libraries(gcc: str) -> list[Path]:
    paths = (subprocess.check_output([gcc, f"-print-file-name={name}"], text=True) for name in _LIBRARIES)
    return [Path(path.strip()) for path in paths]


def _translated() -> bool:
    """Whether the installation has left the C code of all loops, as they are now."""
    sources = list((ROOT / "runner" / "load").glob("fast*.pyx"))
    code = [source.with_suffix(".c") for source in sources]
    return all(
        file.exists() and file.stat().st_mtime > source.stat().st_mtime
        for source, file in zip(sources, code, strict=True)
    )


def _compiled(gcc: str, folder: Path) -> Path:
    """Compile that C code beside a copy of the package, which takes half as long as an installation."""
    built = folder / "built"
    shutil.copytree(ROOT / "runner", built / "runner", ignore=_LEFT_OUT)
    words = [gcc, "-shared", "-fPIC", *_FLAGS.split(), f"-I{sysconfig.get_path('include')}"]
    for source in (ROOT / "runner" / "load").glob("fast*.c"):
        extension = f"{source.stem}{sysconfig.get_config_var('EXT_SUFFIX')}"
        subprocess.run([*words, source, "-o", built / "runner" / "load" / extension], check=True)
    return built


def _build(folder: Path) -> Path:
    source, built = folder / "source", folder / "built"
    for name in _SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=_LEFT_OUT)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(path, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    flags = {"CFLAGS": _FLAGS, "LDFLAGS": "-fsanitize=address,undefined"}
    subprocess.run([*command, "--target", built, source], env=os.environ | flags, check=True)
    return built
