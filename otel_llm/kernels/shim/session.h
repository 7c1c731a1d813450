/* Our use of CUPTI: subscription, callbacks, buffers, and what is decoded from them. */
#ifndef OTEL_LLM_SESSION_H
#define OTEL_LLM_SESSION_H

#include "format.h"
#include "library.h"

#include <stddef.h>

int session_prepare(void); /* memory; false if there is none */
int session_make_ring(int directory, const char *name, uint64_t bytes, int mode,
                      const char *producer);
/* Open libcupti and judge its version. WHY_... */
int session_open(const char *configured, int any_version, char *path, size_t room,
                 uint32_t *version);
/* Subscribe; record kernels, or stop to. Idempotent. WHY_...; then nothing is held. */
int session_attach(int with_activities, uint32_t device_buffers);
/* Let go of CUPTI, with everything that is complete delivered. Never cuptiFinalize. */
void session_detach(void);
int session_is_attached(void);
/* cuptiActivityFlushAll(0), never forced; then write what was added up. */
void session_flush(void);
void session_close(int closed);
void session_in_child(void);

void session_set_rates(uint32_t raw_every, int by_name);
void session_count(int counter, uint64_t by);
/* The caller is the shim's thread: its CPU time is told by session_set_thread_cost. */
void session_on_own_thread(void);
void session_set_thread_cost(uint64_t ns);
uint64_t session_cost_ns(void); /* callbacks and decoding, since the beginning */
void session_counters(uint64_t *into);
void session_write_anchor(void);
void session_write_counters(void);
void session_write_state(uint64_t mono_ns, uint32_t state, uint32_t reason);

#endif
