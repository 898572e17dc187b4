#pragma once
#include "serve/listener.h"
#include "serve/worker.h"

/* The first look, in a process of its own: service->prepare, and the secrets that it asked for, so that workers need
 * not ask. */
int prepare_apart(struct ctx *, const struct listen_options *, struct prepared *ret, struct known_secret **ret_secrets,
		  size_t *ret_n, struct err *) NODISCARD;
