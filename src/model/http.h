#pragma once
#include "rec/schema.h"

/* lamassu.yaml `http`: what holds for the listeners where their options do not say. */
enum http_min_version { HTTP_TLS12, HTTP_TLS13 };
extern const char *const http_min_version_names[];

struct http_tls {
	char *cert_file, *key_file;  /* relative to the repository; NULL: none */
	int min_version;             /* enum http_min_version */
	struct strv cipher_suites;   /* IANA's names, or OpenSSL's */
};
struct http_client_auth {
	bool enabled;                /* clients are asked for a certificate */
	char *ca_file;               /* relative to the repository; NULL: none */
	bool required;
};
struct http_settings {
	int64_t port;                /* 0: the listener's own */
	struct http_tls tls;
	struct http_client_auth client_auth;
};
extern const struct schema http_type;

/* The suites that listeners may use: authenticated encryption with forward secrecy, and no others. */
struct cipher_suite {
	const char *iana, *openssl;
	bool tls13;
};
/* by either name, in any case; NULL: unknown or not safe enough */
const struct cipher_suite *cipher_suite_find(const char *name);
