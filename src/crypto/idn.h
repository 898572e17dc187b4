#pragma once
#include "base/arena.h"
#include "base/err.h"

/* A host name in UTF-8 as ASCII: international labels become A-labels (RFC 5891), the others stay as they are. Checks
 * lengths and characters; a leading label "*" is allowed. */
int idn_to_ascii(struct arena *, const char *host, char **ret, struct err *) NODISCARD;
/* A mailbox with its domain as ASCII; the local part must be ASCII. */
int idn_mailbox(struct arena *, const char *mailbox, char **ret, struct err *) NODISCARD;
