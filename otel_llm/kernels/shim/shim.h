/* What the shim's library offers. All may be called from any thread, with or without CUDA. */
#ifndef OTEL_LLM_SHIM_H
#define OTEL_LLM_SHIM_H

#include "control.h"

#define PUBLIC __attribute__((visibility("default")))

/* CUDA calls it, once, in a process with CUDA_INJECTION64_PATH. Always 1: nothing is wrong. */
PUBLIC int InitializeInjection(void);
/* The same for a process that loads the library itself. The state. */
PUBLIC int otel_llm_kernels_start(void);
/* Launches from now on belong to this step; 0 is no step. */
PUBLIC void otel_llm_kernels_set_step(uint64_t step);
/* Whose steps these are: a JSON object of at most 1023 bytes. 0 if it is too long. */
PUBLIC int otel_llm_kernels_identify(const char *json);
/* Change the mode now (MODE_...), before returning; later orders of an agent hold again. The state.
 * MODE_DORMANT lets go of CUPTI, so that another profiler may have it. */
PUBLIC int otel_llm_kernels_set_mode(uint32_t mode);
/* The state, without waiting for anybody: for an engine's own threads. */
PUBLIC int otel_llm_kernels_state(void);
/* How the shim fares. */
PUBLIC void otel_llm_kernels_report(Report *report);
/* Deliver what is complete, and write it. */
PUBLIC void otel_llm_kernels_flush(void);
/* Let go of everything; the ring is closed on purpose. */
PUBLIC void otel_llm_kernels_stop(void);

#endif
