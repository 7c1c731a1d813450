/* Compared by the compiler: what cupti_abi.h says, and what NVIDIA's own headers say. */
#include <cuda.h>
#include <cupti.h>
#include <stdio.h>

#include "cupti_abi.h"

#ifdef OLD
typedef CUpti_ActivityKernel9 Kernel;
typedef CUpti_ActivityMemcpy5 Memcpy;
typedef CUpti_ActivityMemset4 Memset;
#else
typedef CUpti_ActivityKernel13 Kernel;
typedef CUpti_ActivityMemcpy7 Memcpy;
typedef CUpti_ActivityMemset5 Memset;
#endif
#define SAME(theirs, field, ours, name)                                                            \
    _Static_assert(offsetof(theirs, field) == offsetof(ours, name) &&                              \
                       sizeof(((theirs *)0)->field) == sizeof(((ours *)0)->name),                  \
                   #theirs "." #field)
SAME(Kernel, kind, KernelRecord, kind);
SAME(Kernel, start, KernelRecord, start);
SAME(Kernel, end, KernelRecord, end);
SAME(Kernel, deviceId, KernelRecord, device);
SAME(Kernel, contextId, KernelRecord, context);
SAME(Kernel, streamId, KernelRecord, stream);
SAME(Kernel, correlationId, KernelRecord, correlation);
SAME(Kernel, gridId, KernelRecord, grid);
SAME(Kernel, name, KernelRecord, name);
SAME(Kernel, graphNodeId, KernelRecord, graph_node);
#define TRANSFER(theirs)                                                                           \
    SAME(theirs, kind, TransferRecord, kind);                                                      \
    SAME(theirs, bytes, TransferRecord, bytes);                                                    \
    SAME(theirs, start, TransferRecord, start);                                                    \
    SAME(theirs, end, TransferRecord, end);                                                        \
    SAME(theirs, deviceId, TransferRecord, device);                                                \
    SAME(theirs, streamId, TransferRecord, stream);                                                \
    SAME(theirs, correlationId, TransferRecord, correlation)
TRANSFER(Memcpy);
TRANSFER(Memset);
SAME(CUpti_CallbackData, callbackSite, CallbackData, site);
SAME(CUpti_CallbackData, correlationId, CallbackData, correlation);
#define SAY(ours, theirs) _Static_assert((int)ours == (int)theirs, #ours)
SAY(KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
SAY(KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMCPY);
SAY(KIND_MEMSET, CUPTI_ACTIVITY_KIND_MEMSET);
SAY(DOMAIN_DRIVER, CUPTI_CB_DOMAIN_DRIVER_API);
SAY(DOMAIN_RUNTIME, CUPTI_CB_DOMAIN_RUNTIME_API);
SAY(SITE_ENTER, CUPTI_API_ENTER);
SAY(CUPTI_NOT_INITIALIZED, CUPTI_ERROR_NOT_INITIALIZED);
SAY(CUPTI_INSUFFICIENT_PRIVILEGES, CUPTI_ERROR_INSUFFICIENT_PRIVILEGES);
SAY(CUPTI_MULTIPLE_SUBSCRIBERS, CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
SAY(CUPTI_VIRTUALIZED_INSUFFICIENT_PRIVILEGES,
    CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES);
SAY(CUPTI_UNKNOWN, CUPTI_ERROR_UNKNOWN);
SAY(ATTR_DEVICE_BUFFER_POOL_LIMIT, CUPTI_ACTIVITY_ATTR_DEVICE_BUFFER_POOL_LIMIT);
#ifdef OLD /* 12.9 has no 505 and 506 */
#define RUNTIME(id, name)
#else
#define RUNTIME(id, name) _Static_assert(id == CUPTI_RUNTIME_TRACE_CBID_##name, #name);
#endif
#define DRIVER(id, name) _Static_assert(id == CUPTI_DRIVER_TRACE_CBID_##name, #name);
LAUNCHES(RUNTIME, DRIVER)

int main(void)
{
    printf("%zu %zu %zu\n", sizeof(Kernel), sizeof(Memcpy), sizeof(Memset));
    return 0;
}
