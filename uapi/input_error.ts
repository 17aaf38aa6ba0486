/** A file or a definition that cannot be used: its message is all that the user needs. */
export class InputError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InputError';
  }
}
