/** A step that a test holds: it is `reached`, then waits until the test calls `open`. */
export class Gate {
  readonly reached: Promise<void>;
  open!: () => void;
  private reach!: () => void;
  private readonly opened: Promise<void>;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.reach = resolve;
    });
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  readonly wait = (): Promise<void> => {
    this.reach();
    return this.opened;
  };
}
