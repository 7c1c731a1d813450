"""The part of the build that pyproject.toml cannot say: the OTLP decoder and the CUPTI shim."""

from pathlib import Path

from setuptools import Extension, setup

_NATIVE = Path("otel_llm/collector/decoder/native")
_SHIM = Path("otel_llm/kernels/shim")

setup(
    ext_modules=[
        Extension(
            "otel_llm.collector.decoder._native",
            sources=sorted(map(str, _NATIVE.glob("*.c"))),
            depends=sorted(map(str, _NATIVE.glob("*.h"))),
            extra_compile_args=["-std=c11", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden"],
            py_limited_api=True,
        ),
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
