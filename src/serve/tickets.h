#pragma once
#include <openssl/ssl.h>
#include <stdint.h>

#include "base/err.h"

/* Keys of session tickets: random at first, another one each hour; that of the hour before is read, older ones are
 * gone. Processes that have the context from the same parent come to the same keys. */
int tickets_use(SSL_CTX *, struct err *) NODISCARD;
/* forgets what is too old by then (tm_mono_ms), also where nobody comes; NULL: none */
void tickets_turn(SSL_CTX *, int64_t now_ms);
