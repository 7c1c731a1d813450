"""The part of the build that pyproject.toml cannot say: what is compiled."""

from pathlib import Path

from setuptools import Extension, setup

_SHIM = Path("otel_llm/kernels/shim")


def _module(package: str) -> Extension:
    """The module `_native` of a package, from what is in its folder `native`."""
    folder = Path(*package.split("."), "native")
    return Extension(
        f"{package}._native",
        sources=sorted(map(str, folder.glob("*.c"))),
        depends=sorted(map(str, folder.glob("*.h"))),
        extra_compile_args=["-std=c11", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden"],
        py_limited_api=True,
    )


setup(
    ext_modules=[
        _module("otel_llm.collector.decoder"),
        _module("otel_llm.agent"),
        _module("otel_llm.exporters.clickhouse.rows"),
        # No module: a shared library for CUDA_INJECTION64_PATH and ctypes. All else works without.
        Extension(
            "otel_llm.kernels._shim",
            sources=sorted(map(str, _SHIM.glob("*.c"))),
            depends=sorted(map(str, _SHIM.glob("*.h"))),
            extra_compile_args=[
                "-std=c11",
                "-O3",
                "-flto",
                "-Wall",
                "-Wextra",
                "-fvisibility=hidden",
            ],
            extra_link_args=["-O3", "-flto"],
            libraries=["dl", "pthread"],
            py_limited_api=True,
            optional=True,
        ),
    ],
    # One wheel serves every Python from 3.10 on.
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
