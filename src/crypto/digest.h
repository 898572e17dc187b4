#pragma once
#include "base/arena.h"
#include "base/bytes.h"

enum { SHA256_LEN = 32 };
void sha256(struct bytes, unsigned char out[SHA256_LEN]); /* cannot fail: a missing SHA-256 ends the process */
char *sha256_hex(struct arena *, struct bytes);
