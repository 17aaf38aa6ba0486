/**
 * Numbers from 0 up to, not including, 1, always the same ones for a seed (an integer, of which the low
 * 32 bits count): mulberry32. Good enough to mix things up, and for nothing that has to be secret.
 */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
