"""A Python that stands for the one of the base image: metadata and version files of packages, none of which can run."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
STACK_VERSIONS = {
    "nemo-toolkit": "2.2.1",
    "nemo-aligner": "0.7.0",
    "megatron-core": "0.11.1",
    "tensorrt-llm": "0.17.0.post1",
    "transformer-engine": "1.13.0",
    "apex": "0.1",
    "torch": "2.6.0a0+ecf3bae40a.nv25.1",
}
_PACKAGE_INFO = "MAJOR = {}\nMINOR = {}\nPATCH = {}\nPRE_RELEASE = ''\n"
STACK_FILES = {
    "nemo/package_info.py": _PACKAGE_INFO.format(2, 2, 1),
    "nemo_aligner/package_info.py": _PACKAGE_INFO.format(0, 7, 0),
    "megatron/core/package_info.py": _PACKAGE_INFO.format(0, 11, 1),
    "tensorrt_llm/version.py": '__version__ = "0.17.0.post1"\n',
    "torch/version.py": "__version__ = '2.6.0a0+ecf3bae40a.nv25.1'\n",
    **{
        file: "raise RuntimeError('nothing of the stack is imported while an image is built')\n"
        for file in (
            *(f"{name}/__init__.py" for name in ("nemo", "nemo_aligner", "tensorrt_llm", "torch")),
            *(f"{name}/__init__.py" for name in ("megatron/core", "transformer_engine", "apex")),
            *(f"{name}.py" for name in ("amp_C", "fused_layer_norm_cuda", "fused_weight_gradient_mlp_cuda")),
        )
    },
}


@dataclass(frozen=True, slots=True)
class FakeBase:
    """The Python below ``folder / "python"`` and the sources below ``folder / "recipe"``."""

    folder: Path

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return next((self.folder / "python" / "lib").glob("python*/site-packages"))

    @property
    def sources(self) -> Path:
        """The working directory of the steps."""
        return self.folder / "recipe"

    def make(self) -> None:
        """A virtual environment with pip and the stack."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder / "python"], check=True)
        pip = importlib.util.find_spec("pip")
        assert pip is not None and pip.submodule_search_locations
        (self.site_packages / "pip").symlink_to(pip.submodule_search_locations[0])
        for name, version in STACK_VERSIONS.items():
            self.install(name, version)
        for file, text in STACK_FILES.items():
            path = self.site_packages / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.sources.mkdir()

    def install(self, name: str, version: str) -> None:
        """Metadata alone; another version of the same name goes."""
        stem = name.replace("-", "_")
        for old in self.site_packages.glob(f"{stem}-*.dist-info"):
            (old / "METADATA").unlink()
            old.rmdir()
        folder = self.site_packages / f"{stem}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A step of the Dockerfile, as its shell runs it; packages come from ``folder / "wheels"`` alone."""
        environment = {
            "PATH": f"{self.folder / 'python' / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "GIT_CONFIG_SYSTEM": str(self.folder / "gitconfig"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder / "wheels"),
            **variables,
        }
        return subprocess.run(
            ["sh", "-c", command], cwd=self.sources, env=environment, capture_output=True, text=True, check=False
        )


def write_wheel(folder: Path, name: str, version: str, requires: str) -> str:
    """A wheel with one empty module; its sha256 in hexadecimal digits."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for path, text in files.items()
    }
    record = [f"{path},sha256={digests[path]},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in files.items():
            wheel.writestr(member, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()
