/* Processes on a device: `processes` is a list of `PID,BYTES,SM_PERCENT`, parted by `;`. */
#include <stdio.h>
#include <string.h>

#include "fake.h"

#define MOST 64

struct use { unsigned int pid, sm; unsigned long long memory; };

static int read_uses(const char *list, struct use *uses)
{
    int count = 0;
    while (list != NULL && count < MOST) {
        if (sscanf(list, "%u,%llu,%u", &uses[count].pid, &uses[count].memory, &uses[count].sm) == 3)
            count++;
        list = strchr(list, ';');
        list = list ? list + 1 : NULL;
    }
    return count;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(
    struct handle *handle, unsigned int *count, struct process *out)
{
    double time_s;
    const char *list;
    struct use uses[MOST];
    nvmlReturn_t result = enter(CALL_DeviceGetComputeRunningProcesses_v3, handle, &time_s);
    if (result == SUCCESS)
        result = text(handle, KEY_processes, time_s, &list);
    if (result != SUCCESS)
        return result;
    unsigned int found = (unsigned int)read_uses(list, uses);
    bool fits = *count >= found;
    *count = found;
    if (!fits)
        return INSUFFICIENT_SIZE;
    for (unsigned int each = 0; each < found; each++)
        out[each] = (struct process){uses[each].pid, uses[each].memory, 0xFFFFFFFFu, 0xFFFFFFFFu};
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(
    struct handle *handle, struct process_sample *out, unsigned int *count, unsigned long long since_us)
{
    double time_s;
    const char *list;
    struct use uses[MOST];
    nvmlReturn_t result = enter(CALL_DeviceGetProcessUtilization, handle, &time_s);
    if (result == SUCCESS)
        result = text(handle, KEY_processes, time_s, &list);
    if (result != SUCCESS)
        return result;
    unsigned long long now_us = (unsigned long long)(time_s * 1e6);
    unsigned int found = since_us < now_us ? (unsigned int)read_uses(list, uses) : 0;
    if (found == 0)
        return NOT_FOUND;
    bool fits = out != NULL && *count >= found;
    *count = found;
    if (!fits)
        return INSUFFICIENT_SIZE;
    for (unsigned int each = 0; each < found; each++)
        out[each] = (struct process_sample){uses[each].pid, now_us, uses[each].sm, 0, 0, 0};
    return SUCCESS;
}
