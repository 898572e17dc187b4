#pragma once
/* Scoped handles: a foreign object declared with AUTO(T) is released when its scope ends. Declared = initialised;
 * handing one over is two lines: `*ret_x = x; x = NULL;`. */
#define DEFINE_AUTO(T, fn)                       \
	static inline void auto_##T(T **p)       \
	{                                        \
		if (*p)                          \
			fn(*p);                  \
	}
#define AUTO(T) __attribute__((cleanup(auto_##T))) T

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args), nonnull(fmt)))

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
