import type { ComponentChildren, JSX } from 'preact'

type Native = Omit<JSX.IntrinsicElements['button'], 'class' | 'icon'>

interface ButtonProps extends Native {
  kind?: 'primary' | 'plain' | 'quiet' | 'danger'
  children?: ComponentChildren
}

export const Button = ({ kind = 'plain', children, ...more }: ButtonProps) =>
  <button type="button" class={`button ${kind}`} {...more}>{children}</button>

interface IconButtonProps extends Native {
  label: string
  children: ComponentChildren
}

/** A button that shows an icon alone; its label is for those who do not see it. */
export const IconButton = ({ label, children, ...more }: IconButtonProps) =>
  <button type="button" class="icon-button" aria-label={label} title={label} {...more}>{children}</button>
