#include "failure.h"

#include <setjmp.h>
#include <stddef.h>

/* Each thread walks on its own: the interpreter's lock is not held. */
static _Thread_local jmp_buf back;
static _Thread_local Failure reason;

bool attempt(Failure *failure, Walk *walk, void *with)
{
    if (setjmp(back) != 0) {
        *failure = reason;
        return false;
    }
    walk(with);
    return true;
}

_Noreturn void fail(const char *where, const char *why)
{
    reason = (Failure){where, why};
    longjmp(back, 1);
}

_Noreturn void fail_memory(void)
{
    fail(NULL, "out of memory");
}
