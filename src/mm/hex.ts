/** An address as the kernel log has it, with all its digits. */
export function hex(address: number): string {
  return `0x${address.toString(16).padStart(16, '0')}`;
}
