"""Every name and argument that our code, NeMo, Megatron-core and NeMo-Aligner call has a recorded signature."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PACKAGES = ("tensorrt_llm", "tensorrt", "mpi4py")
SOURCES = {
    "nemo": ("export/tensorrt_llm.py", "export/trt_llm/tensorrt_llm_run.py", "export/trt_llm/converter/utils.py"),
    "megatron.core": (
        "export/trtllm/trtllm_helper.py",
        "export/trtllm/trt_model_config.py",
        "export/trtllm/engine_builder/trtllm_engine_builder.py",
        "export/trtllm/trtllm_weights_converter/distributed_trtllm_model_weights_converter.py",
    ),
    "nemo_aligner": ("utils/trt_llm.py",),
}
INSTANCES = {
    "decoder": "tensorrt_llm.runtime.ModelRunner",
    "refitter": "tensorrt.Refitter",
    "engine": "tensorrt_llm.builder.Engine",
    "plugin_config": "tensorrt_llm.plugin.PluginConfig",
    "model": "tensorrt_llm.models.PretrainedModel",
    "tensorrt_llm_run.tensorrt_llm_worker_context.decoder": "tensorrt_llm.runtime.ModelRunner",
    "self.sampling_config": "tensorrt_llm.runtime.SamplingConfig",
    "config": "tensorrt_llm.runtime.SamplingConfig",
}
"""How these files call what they made of the packages -> its class."""
NOT_ON_OUR_WAY = (
    "ModelRunner.from_dir",
    "ModelRunnerCpp.from_dir",
    "ModelConfig",
    "QuantMode",
    "QuantMode.from_quant_algo",
    "MPIPoolExecutor",
)
"""Engines that other commands read from folders, quantised ones, and processes of their own."""
OTHER_MODEL = "export/tensorrt_llm.py"
"""Where ``model`` and ``config`` are NeMo's own."""


@pytest.fixture(scope="module", autouse=True)
def stand_ins() -> Iterator[None]:
    """Importable for these tests, and gone again for all others."""
    assert not {name.partition(".")[0] for name in sys.modules} & set(PACKAGES)
    sys.path.insert(0, str(ROOT / "tests" / "stand_ins"))
    yield
    sys.path.remove(str(ROOT / "tests" / "stand_ins"))
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]


def sources() -> list[Path]:
    found = sorted((ROOT / "recipes" / "backends" / "trtllm").glob("*.py"))
    found = [path for path in found if path.name not in ("engine.py", "folder.py")]  # the LLM API has a test of its own
    for package, files in SOURCES.items():
        spec = importlib.util.find_spec(package.partition(".")[0])
        assert spec is not None and spec.submodule_search_locations
        folder = Path(spec.submodule_search_locations[0], *package.split(".")[1:])
        found += [folder / file for file in files]
    return found


def imported(tree: ast.Module) -> dict[str, str]:
    """Local name -> dotted name, of what is imported from the packages."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in PACKAGES:
                    top = alias.name.partition(".")[0]
                    names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def resolve(dotted: str) -> Any:
    """The object behind a name; a package's attribute hides a module of that name, as for ``tensorrt_llm.logger``."""
    parts = dotted.split(".")
    for split in range(1, len(parts) + 1):
        try:
            thing = importlib.import_module(".".join(parts[:split]))
            for part in parts[split:]:
                thing = getattr(thing, part)
            return thing
        except (AttributeError, ModuleNotFoundError):
            continue
    raise AttributeError(f"no {dotted}")


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call, bool]]:
    """Line, dotted name, call, and whether it is a method of an instance."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = imported(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        text = ast.unparse(node.func)
        first, _, rest = text.partition(".")
        owner, _, method = text.rpartition(".")
        if first in names:
            yield node.lineno, f"{names[first]}.{rest}".rstrip("."), node, False
        elif (
            owner in INSTANCES
            and not (str(path).endswith(OTHER_MODEL) and owner in ("model", "config"))
            and hasattr(resolve(INSTANCES[owner]), method)
        ):
            yield node.lineno, f"{INSTANCES[owner]}.{method}", node, True


@pytest.mark.parametrize("path", sources(), ids=lambda path: "/".join(path.parts[-3:]))
def test_imports_are_there(path: Path) -> None:
    missing = []
    for dotted in imported(ast.parse(path.read_text(encoding="utf-8"))).values():
        try:
            resolve(dotted)
        except AttributeError:
            missing.append(dotted)
    assert not missing


def test_calls_bind_to_the_recorded_signatures() -> None:
    wrong, seen = [], set()
    for path in sources():
        for line, dotted, call, bound in calls(path):
            if dotted.endswith(NOT_ON_OUR_WAY) or any(isinstance(arg, ast.Starred) for arg in call.args):
                continue
            try:
                signature = inspect.signature(resolve(dotted))
                keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
                given = [None] * (len(call.args) + bound)
                whole = all(keyword.arg is not None for keyword in call.keywords)
                (signature.bind if whole else signature.bind_partial)(*given, **keywords)
                seen.add(dotted)
            except (AttributeError, TypeError) as error:
                wrong.append(f"{path.name}:{line} {dotted}: {error}")
    assert not wrong, "\n".join(wrong)
    assert {
        "tensorrt_llm.runtime.ModelRunner.from_engine",
        "tensorrt_llm.runtime.ModelRunner.generate",
        "tensorrt_llm.runtime.SamplingConfig",
        "tensorrt_llm.builder.Engine.from_buffer",
        "tensorrt_llm.builder.BuildConfig.from_dict",
        "tensorrt_llm.commands.build.build",
        "tensorrt_llm._common.check_max_num_tokens",
        "tensorrt_llm.Mapping",
        "tensorrt_llm.bindings.MpiComm.split",
        "tensorrt.Refitter",
        "tensorrt.Refitter.set_named_weights",
    } <= seen


def test_runner_takes_every_keyword_and_has_no_default() -> None:
    """NeMo before 2.2 passed two of them: a TypeError in the container of 25.02."""
    (loader,) = [path for path in sources() if path.name == "tensorrt_llm_run.py"]
    options = next(
        node
        for node in ast.walk(ast.parse(loader.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "default_kwargs"
    )
    assert isinstance(options.value, ast.Dict)
    given = {key.value for key in options.value.keys if isinstance(key, ast.Constant)} | {"engine", "rank"}
    parameters = inspect.signature(resolve("tensorrt_llm.runtime.ModelRunner").from_engine).parameters
    assert given == set(parameters)
    assert all(parameter.default is inspect.Parameter.empty for parameter in parameters.values())


def test_options_that_the_builder_sets_exist() -> None:
    (builder,) = [path for path in sources() if path.name == "trtllm_engine_builder.py"]
    config = resolve("tensorrt_llm.plugin.PluginConfig")()
    assigned = [
        node.targets[0].attr
        for node in ast.walk(ast.parse(builder.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and ast.unparse(node.targets[0].value) == "plugin_config"
    ]
    assert len(assigned) >= 6 and all(hasattr(config, name) for name in assigned)
    with pytest.raises(AttributeError):
        config.no_such_option = True
