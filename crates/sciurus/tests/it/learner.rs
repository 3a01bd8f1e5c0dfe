//! The learner on small drawn pictures: it learns, it repeats itself, it tells what happens.
