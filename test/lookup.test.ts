/** Paths that lead through what is ours to what is the machine's, and what the supervisor keeps of them: nothing. */
import { readdirSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { needsCompiler, program } from './programs.js';
import { run, testKernel } from './run.js';

beforeEach(needsCompiler);

const descriptors = () => readdirSync('/proc/self/fd').length;

describe('/proc/PID/fdinfo', () => {
  test('of a buffer can be read any number of times, and the supervisor keeps nothing of it', async () => {
    const kernel = testKernel();
    await run(kernel, program('fdinfo'), ['1']);
    const before = descriptors();
    const { status, stdout } = await run(kernel, program('fdinfo'), ['20']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^size:\t4096\ncount:\t1\nexp_name:\tsystem$/m);
    expect(descriptors() - before).toBeLessThan(10);
  });
});
