/* Documents of device managers in either form. What is accepted is written in one form, which is accepted and means the
 * same. */
#include <assert.h>
#include <stdint.h>

#include "model/dms.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_BUF first = buf_init(BUF_BIG), second = buf_init(BUF_BIG);
	SCOPED_ARENA *a = arena_new();
	struct dms d, again;
	struct err e = { 0 };
	int64_t delay;

	if (rec_load(a, &dms_type, "dms", (struct bytes){ data, n }, &d, &e) != 0)
		return 0;
	d.settings.issuance_profile = NULL; /* becomes a record of its own */
	assert(d.settings.enrollment_settings.est_rfc7030_settings.authentication.type != AUTH_NONE);
	dms_revoke_when(&d, &delay);
	rec_emit(&dms_type, &d, &first);
	assert(rec_load(a, &dms_type, "emitted", buf_bytes(&first), &again, &e) == 0);
	rec_emit(&dms_type, &again, &second);
	assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	return 0;
}
