/* Warnings and notes on their way to the user. They may quote hostile text, so they are made safe for a terminal
 * here. */
#include "base/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

const char *ctx_actor(const struct ctx *ctx)
{
	return ctx->actor ? ctx->actor : getenv("LAMASSU_OPERATOR");
}

static PRINTF(3, 0) void tell(struct ctx *ctx, void (*how)(void *arg, const char *msg), const char *fmt, va_list ap)
{
	char raw[1024], safe[1024];

	if (!how)
		return;
	vsnprintf(raw, sizeof(raw), fmt, ap);
	text_escape_into(safe, sizeof(safe), bytes_of(raw));
	how(ctx->warn_arg, safe);
}

void ctx_warn(struct ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(ctx, ctx->warn, fmt, ap);
	va_end(ap);
}

void ctx_fault(struct ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(ctx, ctx->fault, fmt, ap);
	va_end(ap);
}

void ctx_progress(const struct ctx *ctx, const char *what, uint64_t done, uint64_t total)
{
	if (ctx->progress)
		ctx->progress(ctx->progress_arg, what, done, total);
}
