//! Count, mean and squared deviations of a stream, and their exact joining (Welford, Chan; STA-41).

use super::{StatisticsError, finite};

/// The first two moments of what was pushed so far. Streams are joined in index order, so that every machine rounds alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    n: u64,
    mean: f64,
    m2: f64,
}

impl Moments {
    /// The moments of a whole sample, taken in its order.
    ///
    /// # Errors
    /// [`StatisticsError::Empty`] or [`StatisticsError::NotFinite`], also when a sum leaves the range of a float.
    pub fn of(sample: &[f64]) -> Result<Self, StatisticsError> {
        finite(sample)?;
        let mut moments = Self::default();
        for &value in sample {
            moments.push(value)?;
        }
        Ok(moments)
    }

    /// Takes one more value.
    ///
    /// # Errors
    /// [`StatisticsError::NotFinite`] if `value`, or a moment with it, is not finite; the moments stay as they were.
    pub fn push(&mut self, value: f64) -> Result<(), StatisticsError> {
        *self = self.merged(Self { n: 1, mean: value, m2: 0.0 })?;
        Ok(())
    }

    /// The moments of this stream followed by `later`.
    ///
    /// # Errors
    /// [`StatisticsError::NotFinite`] if a joined moment leaves the range of a float; `index` is the joined count - 1.
    pub fn merged(self, later: Self) -> Result<Self, StatisticsError> {
        let joined = match (self.n, later.n) {
            (_, 0) => self,
            // Without this arm a huge first value would meet 0 * infinity.
            (0, _) => later,
            (own, others) => {
                let n = own + others;
                let (na, nb, whole) = (own as f64, others as f64, n as f64);
                let d = later.mean - self.mean;
                Self { n, mean: self.mean + d * (nb / whole), m2: self.m2 + later.m2 + d * d * (na * nb / whole) }
            }
        };
        match [joined.mean, joined.m2].into_iter().find(|moment| !moment.is_finite()) {
            Some(value) => Err(StatisticsError::NotFinite { index: joined.n as usize - 1, value }),
            None => Ok(joined),
        }
    }

    /// How many values went in.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The mean, from one value on.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then_some(self.mean)
    }

    /// The sample variance (divided by n - 1), from two values on.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.m2 / (self.n - 1) as f64)
    }

    /// The sample standard deviation, from two values on.
    #[must_use]
    pub fn std(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs())),
            (None, None) => true,
            _ => false,
        }
    }

    #[test]
    fn sta_49_chan() {
        let [a, b] = [&[1.0, 2.0, 3.0, 4.0][..], &[10.0, 20.0, 30.0]].map(|part| Moments::of(part).expect("finite"));
        let whole = a.merged(b).expect("finite");
        assert_eq!(whole.n(), 7);
        assert!(close(whole.mean(), Some(10.0)) && close(whole.variance(), Some(121.666_666_666_666_67)));
    }

    #[test]
    fn a_far_away_mean_keeps_its_digits() {
        let moments = Moments::of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]).expect("finite");
        assert_eq!(moments.variance(), Some(30.0));
    }

    #[test]
    fn what_has_no_moment_has_none() {
        assert_eq!(Moments::of(&[]), Err(StatisticsError::Empty));
        assert!(matches!(Moments::of(&[1.0, f64::NAN]), Err(StatisticsError::NotFinite { index: 1, .. })));
        assert!(matches!(Moments::of(&[-1e308, 1e308]), Err(StatisticsError::NotFinite { index: 1, .. })), "overflow");
        assert!(Moments::of(&[1e300]).is_ok(), "one huge value has a mean");
        let one = Moments::of(&[3.0]).expect("finite");
        assert_eq!((one.mean(), one.variance(), one.std()), (Some(3.0), None, None));
        assert_eq!(Moments::default().mean(), None);
    }

    proptest! {
        #[test]
        fn merging_anywhere_is_the_whole(sample in prop::collection::vec(-1e6..1e6, 1..60), cut in 0usize..60) {
            let cut = cut.min(sample.len());
            let part = |values: &[f64]| values.iter().try_fold(Moments::default(), |mut all, &value| {
                all.push(value).map(|()| all)
            });
            let whole = Moments::of(&sample).expect("finite");
            let (head, tail) = (part(&sample[..cut]).expect("finite"), part(&sample[cut..]).expect("finite"));
            let joined = head.merged(tail).expect("finite");
            prop_assert_eq!(joined.n(), whole.n());
            prop_assert!(close(joined.mean(), whole.mean()) && close(joined.variance(), whole.variance()));
        }
    }
}
