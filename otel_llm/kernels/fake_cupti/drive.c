/*
 * An engine as CUDA sees one: loads CUDA_INJECTION64_PATH as libcuda does, or nothing, and launches.
 *
 *   drive FAKE STEPS LAUNCHES KERNELS THREADS [STEP_US]
 *
 * Each step makes LAUNCHES launches, shared among THREADS; each runs KERNELS kernels (more than one:
 * a graph). Prints `correlation step` for every launch. Waits to be killed at the end if DRIVE_WAIT.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint32_t (*launch)(uint32_t, uint32_t, uint32_t, int);
static uint32_t launches, kernels, threads, *correlations;

static void *part(void *argument)
{
    /* cudaLaunchKernel, CUDA 13's own, cuLaunchKernel, cuLaunchKernelEx; graphs: cudaGraphLaunch */
    static const uint32_t calls[][2] = {{2, 211}, {2, 505}, {1, 307}, {1, 652}, {2, 506}};
    for (uint32_t index = (uint32_t)(uintptr_t)argument; index < launches; index += threads)
        correlations[index] = kernels > 1 ? launch(2, 311, kernels, 0)
                                          : launch(calls[index % 5][0], calls[index % 5][1], 1, 0);
    return NULL;
}

int main(int count, char **arguments)
{
    if (count < 6)
        return 2;
    void *fake = dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL);
    const char *path = getenv("CUDA_INJECTION64_PATH");
    void *shim = path ? dlopen(path, RTLD_NOW) : NULL;
    void (*set_step)(uint64_t) = NULL;
    if (shim) {
        int (*initialize)(void) = NULL;
        *(void **)&initialize = dlsym(shim, "InitializeInjection");
        *(void **)&set_step = dlsym(shim, "otel_llm_kernels_set_step");
        if (!initialize || initialize() != 1)
            return 3;
    }
    uint32_t steps = (uint32_t)atoi(arguments[2]);
    if (fake)
        *(void **)&launch = dlsym(fake, "fake_launch");
    if (!launch)
        return 4;
    launches = (uint32_t)atoi(arguments[3]);
    kernels = (uint32_t)atoi(arguments[4]);
    threads = (uint32_t)atoi(arguments[5]);
    correlations = calloc(launches, sizeof *correlations);
    pthread_t workers[64];
    for (uint32_t step = 1; step <= steps; step++) {
        if (set_step)
            set_step(step);
        for (uint32_t index = 1; index < threads; index++)
            pthread_create(&workers[index], NULL, part, (void *)(uintptr_t)index);
        part(NULL);
        for (uint32_t index = 1; index < threads; index++)
            pthread_join(workers[index], NULL);
        for (uint32_t index = 0; index < launches; index++)
            printf("%u %u\n", correlations[index], step);
        if (count > 6)
            usleep((useconds_t)atoi(arguments[6]));
    }
    fflush(stdout);
    if (getenv("DRIVE_WAIT"))
        pause();
    return 0;
}
