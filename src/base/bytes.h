#pragma once
#include <stddef.h>
#include <string.h>

/* A borrowed run of bytes; p may be NULL when n is 0. */
struct bytes {
	const unsigned char *p;
	size_t n;
};

static inline struct bytes bytes_of(const char *s)
{
	return (struct bytes){ (const unsigned char *)s, s ? strlen(s) : 0 };
}

static inline int bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct strv { /* a list of strings; `set` tells an empty list from an absent one */
	char **v;
	size_t n;
	_Bool set;
};
