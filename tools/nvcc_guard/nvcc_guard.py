"""Make torchsort build without CUDA on a machine that has nvcc, unless TORCHSORT_CUDA=1 asks for it.

torchsort's setup.py calls nvcc and takes only a FileNotFoundError for "no CUDA". An nvcc without a matching
toolkit or GPU (a common state of shared machines) would otherwise break the build.
"""

import os
import subprocess

if os.environ.get("TORCHSORT_CUDA", "0") != "1":
    _call = subprocess.call

    def _call_without_nvcc(args, *rest, **options):
        if list(args)[:1] == ["nvcc"]:
            raise FileNotFoundError("nvcc is hidden: CPU-only build (set TORCHSORT_CUDA=1 to use it)")
        return _call(args, *rest, **options)

    subprocess.call = _call_without_nvcc
