"""Fixed nets as ONNX files and ExecuTorch programs.

around       what is put around a net before it is written
to_onnx      written in fp32 and compared with torch
torchvision  what of torchvision's nets is written otherwise
targets      where a portable file runs, and what is known of each target
to_fp16      in half the bits
to_executorch  as an ExecuTorch program, its convolutions computed by XNNPACK
to_int8      quantised on clips, and what that costs in accuracy
triton       a model repository of Triton Inference Server
cached       the file that a runtime needs: the bundle's own, or one that is exported into a cache
"""
