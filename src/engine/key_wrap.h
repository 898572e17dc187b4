#pragma once
#include "crypto/key.h"

/* A private key wrapped for its journey into an engine: AWS's RSA_AES_KEY_WRAP_SHA_256, Vault Transit's import. The
 * PKCS#8 under a fresh AES-256 key (KWP, RFC 5649), after that key under the engine's RSA key (OAEP, SHA-256). */
int key_wrap(struct arena *, EVP_PKEY *rsa, const EVP_PKEY *priv, struct bytes *ret, struct err *) NODISCARD;
/* The same under an AES-256 key that the engine has already. */
int key_wrap_aes(struct arena *, struct bytes aes, const EVP_PKEY *priv, struct bytes *ret, struct err *) NODISCARD;
