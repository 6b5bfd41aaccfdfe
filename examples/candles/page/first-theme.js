// Before the first paint: the colours that were chosen here the last time. Without a choice they are those of the system.
const chosen = localStorage.getItem('millrace-theme')
if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen
