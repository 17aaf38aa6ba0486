/** CLOCK_MONOTONIC in nanoseconds, which is what Node's clock is. */
export function ktimeGet(): bigint {
  return process.hrtime.bigint();
}
