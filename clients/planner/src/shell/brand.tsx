export const Rings = () => (
  <svg class="rings" viewBox="0 0 44 28" width="44" height="28" aria-hidden="true" focusable="false">
    <circle class="ring-a" cx="15" cy="15" r="11" />
    <circle class="ring-b" cx="29" cy="15" r="11" />
    <path class="gem" d="M29 0.8l3 3-3 3.4-3-3.4z" />
  </svg>
)
