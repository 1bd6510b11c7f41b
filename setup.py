"""Package metadata; constraints.txt has the versions it was tested with."""

from setuptools import find_packages, setup

setup(
    name="jax-gans",
    version="0.1.0",
    description="Generative adversarial networks as pure JAX functions",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["gans*", "experiments*", "configs*"]),
    package_data={"experiments.pages": ["*.html", "*.css", "*.js"]},
    install_requires=[
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "orbax-checkpoint",
        "tensorflow-datasets",
        "importlib_resources",  # tensorflow-datasets needs it, but does not declare it
        "chex",
        "ml-collections",
        "absl-py",
        "grain",
        "numpy",
        "scipy",
        "pillow",
        "safetensors",
        "flatbuffers",  # jax.export needs it, but does not declare it
        "matplotlib",
        "scikit-learn",
        "tqdm",
        "tensorboardX",
    ],
    extras_require={
        "cuda": ["jax[cuda13]"],
        "tpu": ["jax[tpu]"],
        "meshes": ["trimesh", "scikit-image"],  # to read and write surfaces of voxels
        "video": ["av"],  # to read films such as MP4
        "tfds": ["tensorflow"],  # only to prepare a TFDS dataset, not to read it
        "sweep": ["optuna"],
        "ray": ["optuna", "ray[tune]"],  # sweeps on a cluster
        "serve": ["fastapi", "granian", "prometheus_client"],
        "test": ["pytest", "pytest-xdist", "hypothesis", "ruff"],
        "onnx": ["onnx", "onnxruntime", "onnx-ir"],  # and jax2onnx
        "c2pa": ["c2pa-python"],  # signed manifests in pictures
        "reference": ["torch==2.13.0"],  # what ours is compared with
    },
)
