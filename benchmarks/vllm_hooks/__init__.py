"""What the vLLM hooks cost a real vLLM: `python -m benchmarks.vllm_hooks`, in vLLM's own Python."""
