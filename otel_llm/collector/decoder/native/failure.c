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

static _Noreturn void leave(Failure failure)
{
    reason = failure;
    longjmp(back, 1);
}

_Noreturn void fail(const char *where, const char *why)
{
    leave((Failure){MALFORMED, where, why});
}

_Noreturn void fail_memory(void)
{
    leave((Failure){.kind = NO_MEMORY});
}

_Noreturn void fail_oversize(void)
{
    leave((Failure){.kind = OVERSIZE});
}
