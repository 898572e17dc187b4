#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* The files that AWS's own tools are set up with: ~/.aws/config and ~/.aws/credentials. */
struct aws_ini {
	struct aws_setting {
		const char *section, *key, *value; /* of a nested setting the key is "outer.inner" */
	} *v;
	size_t n;
};

/* `file` is for messages. Text that is neither a section nor a setting is ERR_INVALID. */
int aws_ini_parse(struct arena *, const char *file, struct bytes text, struct aws_ini *ret, struct err *) NODISCARD;
const char *aws_ini_get(const struct aws_ini *, const char *section, const char *key); /* the last one; NULL: absent */
bool aws_ini_has(const struct aws_ini *, const char *section);
