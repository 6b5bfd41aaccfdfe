// Styles are bundled: what is imported of them is nothing.
declare module '*.css'
