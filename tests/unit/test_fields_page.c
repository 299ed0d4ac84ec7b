// SPDX-License-Identifier: MIT
/*
 * The texts that are made from the lists of fields are those that are checked in. Read from the top
 * of the tree, where make runs the tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "show/fields_page.h"

static void is_current(const char *path, void (*print)(FILE *out))
{
	static char kept[128 * 1024];
	FILE *in = fopen(path, "re");
	char *made = NULL;
	size_t len = 0, kept_len;
	FILE *out = open_memstream(&made, &len);

	if (!in)
		fail_msg("cannot open %s: run from the top of the tree", path);
	kept_len = fread(kept, 1, sizeof(kept), in);
	fclose(in);
	print(out);
	fclose(out);
	assert_true(kept_len > 1000 && kept_len < sizeof(kept));
	if (kept_len != len || memcmp(kept, made, len) != 0)
		fail_msg("%s is not what include/dora_probe/fields.h says: run tests/tools/docs.py",
			 path);
	free(made);
}

static void test_page_is_current(void **state)
{
	(void)state;
	is_current("docs/json.md", dp_fields_page);
}

static void test_schema_is_current(void **state)
{
	(void)state;
	is_current("tests/e2e/fields.json", dp_fields_schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_is_current),
		cmocka_unit_test(test_schema_is_current),
	};

	return cmocka_run_group_tests_name("fields page", tests, NULL, NULL);
}
