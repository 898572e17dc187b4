#pragma once
#include <sys/types.h>

#include "base/err.h"

/* What a process is allowed, and how it becomes two. */
int process_become(const char *user, struct err *) NODISCARD; /* for good, with the user's groups and home */
void process_raise_files(void);                               /* as many open files as the system lets it have */
/* fork(), after which signals are the child's own: a handler that it inherits from the event loop would tell the parent
 * of them. */
pid_t process_fork(void);
