#pragma once
#include "base/err.h"

/* What a process is allowed. */
int process_become(const char *user, struct err *) NODISCARD; /* for good, with the user's groups and home */
void process_raise_files(void);                               /* as many open files as the system lets it have */
